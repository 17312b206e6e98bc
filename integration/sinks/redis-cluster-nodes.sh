# The nodes of a Redis Cluster in one container: redis-cluster-nodes.sh PORT...
#
# Half of them are masters, each with a replica. A node that ends is started again at once, unless there is a file
# /data/PORT/down: then when that is gone. Nodes announce 127.0.0.1 and their port, which are the same on the machine.
set -o errexit -o nounset
export REDISCLI_AUTH="$PASSWORD"

serve() {
  mkdir -p "/data/$1"
  while true; do
    while [ -e "/data/$1/down" ]; do sleep 0.05; done
    redis-server --port "$1" --dir "/data/$1" --bind 0.0.0.0 --protected-mode no --save '' \
      --appendonly yes --appendfsync always --requirepass "$PASSWORD" --masterauth "$PASSWORD" \
      --cluster-enabled yes --cluster-announce-ip 127.0.0.1 --cluster-node-timeout 1000 \
      --repl-diskless-sync-delay 0 || true
  done
}

# As an upgrade does it: every node is asked to end.
end() {
  trap - TERM
  for loop in "${loops[@]}"; do kill "$loop"; done
  for port in "$@"; do redis-cli -p "$port" shutdown > /dev/null 2>&1 || true; done
  exit 0
}

loops=()
for port in "$@"; do
  serve "$port" &
  loops+=("$!")
done
trap 'end "$@"' TERM
for port in "$@"; do
  until [ "$(redis-cli -p "$port" ping 2> /dev/null)" = PONG ]; do sleep 0.05; done
done
if [ ! -e /data/made ]; then
  redis-cli --cluster create $(printf '127.0.0.1:%s ' "$@") --cluster-replicas 1 --cluster-yes > /dev/null
  touch /data/made
fi
# Everybody knows everybody, and every replica has caught up.
for port in "$@"; do
  until redis-cli -p "$port" cluster info | grep -q cluster_state:ok; do sleep 0.05; done
  until redis-cli -p "$port" info replication | grep -q -e master_link_status:up -e connected_slaves:1; do sleep 0.05; done
  until [ "$(redis-cli -p "$port" cluster slots | grep -c 127.0.0.1)" = "$#" ]; do sleep 0.05; done
done
echo the cluster is ready
while true; do wait || true; done
