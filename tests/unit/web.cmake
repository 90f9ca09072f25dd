add_unit_test(assets web)
add_unit_test(web web)
add_unit_test(why web)
