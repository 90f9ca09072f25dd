add_unit_test(digest auth)
add_unit_test(nonce auth)
add_unit_test(users auth)
add_unit_test(auth auth)
