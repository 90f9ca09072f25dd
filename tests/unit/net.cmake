add_unit_test(cert net)
add_unit_test(net_udp net)
