add_unit_test(config config)
add_unit_test(config_print config)
add_unit_test(config_text config)
