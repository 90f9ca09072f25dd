add_unit_test(cert net)
add_unit_test(net_udp net)
add_unit_test(http_client net)
target_sources(test_http_client PRIVATE unit/http_server.c)

add_executable(bench_http_client bench/bench_http_client.c)
target_link_libraries(bench_http_client PRIVATE aorta_net)
