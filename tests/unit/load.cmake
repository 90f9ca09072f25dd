# The pure parts of the load generator.
foreach(what digest template answer histogram ws request)
  add_unit_test(load_${what} load)
endforeach()
target_link_libraries(test_load_request PRIVATE aorta_sip) # aorta reads what it sends
