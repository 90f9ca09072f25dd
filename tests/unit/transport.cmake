add_unit_test(ws_frame transport)
add_unit_test(http_head transport)
add_unit_test(stun transport)
add_unit_test(conn_limit transport)
