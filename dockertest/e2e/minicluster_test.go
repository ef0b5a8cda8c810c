//go:build hadoop

package e2e

import (
	"strings"
	"testing"

	"github.com/yarnd/yarnd/dockertest"
)

// Java's own distributed shell, client and application master, runs on the embedded
// cluster, and Java's own tools read its lists and the logs that it aggregated. No
// daemon of the real cluster has a part in it: the edge node lends its Java.
func TestJavaOnMinicluster(t *testing.T) {
	alice := dockertest.Running(t, "simple").Edge("alice")
	out := alice.Must(t, "bash", "-c", javaOnMinicluster)
	for _, want := range []string{"SHELL: 0", "Final-State : SUCCEEDED", "hello from container_", "GONE"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if n := strings.Count(out, "\nhello from container_"); n != 3 {
		t.Errorf("%d containers said hello, want 3:\n%s", n, out)
	}
}

const javaOnMinicluster = `set -eu
dir=$(mktemp -d); cd "$dir"; mkfifo ready
trap 'kill $cluster 2>/dev/null || true; rm -rf "$dir"' EXIT
yarnd minicluster --nodes 2 --dir "$dir/cluster" -D 'yarn.application.classpath=$HADOOP_CONF_DIR,/opt/hadoop/lib/*' >ready & cluster=$!
read -r line <ready; eval "$line"
jar=$(ls /opt/hadoop/lib/hadoop-yarn-applications-distributedshell-*.jar)
set +e
hadoop-java -Duser.home="$dir" -Dlog4j.configuration=file:/etc/hadoop/conf/log4j.properties org.apache.hadoop.yarn.applications.distributedshell.Client -jar "$jar" -master_memory 256 \
	-num_containers 3 -container_memory 64 -shell_command 'echo hello from $CONTAINER_ID' >client.log 2>&1
echo "SHELL: $?"
grep -E 'ERROR|FATAL|Exception' client.log
set -e
id=$(grep -o 'application_[0-9]*_[0-9]*' client.log | head -1)
hadoop-java org.apache.hadoop.yarn.client.cli.ApplicationCLI application -status "$id" 2>/dev/null
for _ in $(seq 50); do hadoop-java org.apache.hadoop.yarn.client.cli.LogsCLI -applicationId "$id" >logs 2>/dev/null && [ "$(grep -c '^hello' logs)" = 3 ] && break; sleep 0.5; done
cat logs
kill $cluster; wait $cluster
test -e "$dir/cluster/nodes" && for p in /proc/[0-9]*; do case $(readlink $p/cwd 2>/dev/null) in "$dir/cluster"*) echo "left: $p"; exit 1;; esac; done
echo GONE`
