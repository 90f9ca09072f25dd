add_unit_test(store_memory store)
target_sources(test_store_memory PRIVATE contract/register_steps.c contract/store_contract.c)

add_executable(bench_store_memory bench/bench_store_memory.c)
target_link_libraries(bench_store_memory PRIVATE aorta_store)
# Sanitizers surround every allocation with guards of their own.
if(NOT AORTA_SANITIZE)
  add_test(NAME bench.store_memory COMMAND bench_store_memory 100000 600)
  set_tests_properties(bench.store_memory PROPERTIES TIMEOUT 120)
endif()
add_unit_test(binding_json store)
add_unit_test(store_redis store)
target_sources(test_store_redis PRIVATE contract/register_steps.c contract/store_contract.c contract/redis_server.c)
