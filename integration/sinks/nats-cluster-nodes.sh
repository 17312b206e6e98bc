# The servers of a NATS cluster in one container: nats-cluster-nodes.sh CLIENT-PORT...
#
# Server N is called nN and listens on the N-th port, which is the same on the machine. One that ends is started again at
# once, unless there is a file /data/nN/down: then when that is gone. Routes between servers use ports of the container.
set -o errexit -o nounset
routes=()
for at in $(seq "$#"); do routes+=("nats://127.0.0.1:$((6221 + at))"); done

serve() {
  mkdir -p "/data/n$1"
  sed "s:/data:/data/n$1:" /etc/nats/durable.conf > "/data/n$1.conf"
  cat >> "/data/n$1.conf" << END
server_name: n$1
port: $2
cluster { name: test, listen: "127.0.0.1:$((6221 + $1))", no_advertise: true, routes: [$(printf '"%s",' "${routes[@]}")] }
END
  while true; do
    while [ -e "/data/n$1/down" ]; do sleep 0.05; done
    nats-server --config "/data/n$1.conf" --pid "/data/n$1/pid" || true
  done
}

at=0
for port in "$@"; do
  at=$((at + 1))
  serve "$at" "$port" &
done
while true; do wait || true; done
