"""Not a test: three nodes behind a load balancer, for whoever wants to try (`tests/cluster/run up`)."""

import os
import sys
import time


def test_three_nodes_until_the_end(nodes):
    cluster = nodes(3, lease="6s")
    lines = [f"balancer  rtmp://127.0.0.1:{cluster.balancer.port}/live/STREAM?vhost={cluster.domain}"]
    lines += [f"node {name}    api {server.api}   rtmp {server.ready['rtmp']}" for name, server in cluster.servers.items()]
    lines += [f"store     {cluster.store.oss}   database {cluster.database}"]
    sys.__stderr__.write("\n".join(lines) + "\n")
    sys.__stderr__.flush()
    time.sleep(float(os.environ["CLUSTER_UP"]))
