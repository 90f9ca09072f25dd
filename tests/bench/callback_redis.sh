#!/usr/bin/env bash
# Registrations a second over UDP, the way the predecessor is used: sipp registers (401, then 200),
# nginx answers the authentication callback, Redis keeps the bindings. All on this machine's loopback;
# everything that is started ends with the script.
#   tests/bench/callback_redis.sh [RATE [SECONDS]]     RATE registrations a second, 4000 for 5 s
# Prints what sipp saw and what a registration cost aorta in CPU time.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
rate=${1:-4000}
seconds=${2:-5}
aorta=${AORTA_BIN:-build/aorta}
users=2000
[ "$rate" -le 50000 ] && [ "$seconds" -le 60 ] || { echo "at most 50000 a second for 60 s" >&2; exit 2; }

folder=$(mktemp -d)
started=()
finish() {
  for pid in "${started[@]}"; do
    kill "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  rm -rf "$folder"
}
trap finish EXIT

base=$((20000 + RANDOM % 10000))
redis_port=$base http_port=$((base + 1)) sip_port=$((base + 2)) admin_port=$((base + 3)) sipp_port=$((base + 4))

redis-server --port "$redis_port" --bind 127.0.0.1 --save '' --dir "$folder" >"$folder/redis.log" &
started+=($!)
cat >"$folder/nginx.conf" <<CONF
daemon off; worker_processes 1; pid $folder/nginx.pid; error_log $folder/nginx.log;
events { worker_connections 1024; }
http {
  access_log off; keepalive_requests 100000000; client_body_temp_path $folder/body;
  proxy_temp_path $folder/p; fastcgi_temp_path $folder/f; uwsgi_temp_path $folder/u; scgi_temp_path $folder/s;
  server { listen 127.0.0.1:$http_port; location / { default_type application/json; return 200 '{"status":"ok"}'; } }
}
CONF
nginx -c "$folder/nginx.conf" -e "$folder/nginx.log" &
started+=($!)
cat >"$folder/aorta.json" <<CONF
{ "listen": ["udp://127.0.0.1:$sip_port"], "store": "redis", "redis": { "port": $redis_port },
  "authCallback": { "uri": "http://127.0.0.1:$http_port/" }, "http": { "www": false, "admin": "http://127.0.0.1:$admin_port" },
  "registrar": { "maxContacts": 1000 }, "drainSeconds": 0, "logging": { "level": "warn" } }
CONF
"$aorta" -c "$folder/aorta.json" &
aorta_pid=$!
started+=("$aorta_pid")

{ echo SEQUENTIAL; for i in $(seq $users); do echo "u$i;[authentication username=u$i password=p]"; done; } >"$folder/users.csv"
# The half of the scenario that registers; a user has one contact, as a phone does.
sed -e '/<recv response="200">/,$d' -e 's/-\[call_number\]@/@/' tests/integration/sipp/register.xml >"$folder/register.xml"
echo '<recv response="200" rtd="true" /></scenario>' >>"$folder/register.xml"

for _ in $(seq 50); do # until Redis has taken the lease
  (exec 3<>"/dev/tcp/127.0.0.1/$admin_port" && printf 'GET /readyz HTTP/1.0\r\nHost: localhost\r\n\r\n' >&3 && grep -q 200 <&3) 2>/dev/null && break
  sleep 0.1
done

ticks() { awk '{ print $14 + $15 }' "/proc/$aorta_pid/stat"; }
before=$(ticks)
began=$(date +%s.%N)
status=0
(cd "$folder" && TERM=dumb sipp "127.0.0.1:$sip_port" -i 127.0.0.1 -p "$sipp_port" -t u1 -sf register.xml -inf users.csv \
  -r "$rate" -m $((rate * seconds)) -l 20000 -nostdin -nd -timeout "$((seconds * 4))s" -buff_size 4194304 \
  -trace_stat -stf stat.csv >sipp.log 2>&1) || status=$?
ended=$(date +%s.%N)
after=$(ticks)
# sipp's last line of statistics names totals: successful and failed calls, retransmissions.
awk -F';' -v began="$began" -v ended="$ended" -v ticks=$((after - before)) -v rate="$rate" -v hz="$(getconf CLK_TCK)" '
  NR == 1 { for (i = 1; i <= NF; i++) column[$i] = i; next }
  { ok = $column["SuccessfulCall(C)"]; bad = $column["FailedCall(C)"]; again = $column["Retransmissions(C)"] }
  END {
    printf "{\"rate\":%d,\"registered\":%d,\"failed\":%d,\"retransmissions\":%d,\"perSecond\":%.0f,\"cpuMicroseconds\":%.1f}\n",
      rate, ok, bad, again, ok / (ended - began), ok ? ticks / hz * 1e6 / ok : 0
  }' "$folder/stat.csv"
exit "$status"
