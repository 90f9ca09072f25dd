add_unit_test(cert net)
