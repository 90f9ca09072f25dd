add_unit_test(own_hosts app)
add_unit_test(trim app)
