add_unit_test(events events)
add_unit_test(event_json events)
