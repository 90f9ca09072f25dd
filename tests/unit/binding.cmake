add_unit_test(binding_rules binding)
target_sources(test_binding_rules PRIVATE contract/register_steps.c)
add_unit_test(nat binding)
