add_unit_test(reply_cache registrar)
add_unit_test(flow registrar)
