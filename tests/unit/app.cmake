add_unit_test(own_hosts app)
