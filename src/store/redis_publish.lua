-- Publishes many messages at once.
-- ARGV  1 the channel   2.. the messages
for i = 2, #ARGV do
  redis.call('PUBLISH', ARGV[1], ARGV[i])
end
return #ARGV - 1
