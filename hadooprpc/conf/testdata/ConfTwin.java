// Prints what Hadoop's own Configuration makes of the directory twin/, for
// golden/twin.txt. To make it again, in this directory, with Hadoop's client
// jars (hadoop-hdfs-client, hadoop-yarn-common and what they need) in lib/:
//
//   YARND_TWIN=from-env YARND_TWIN_EMPTY= \
//     java -cp 'twin:lib/*' ConfTwin.java | grep -a '^[a-z].*=' > golden/twin.txt
import java.util.*;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.hdfs.HdfsConfiguration;
import org.apache.hadoop.yarn.conf.YarnConfiguration;

public class ConfTwin {
  public static void main(String[] args) {
    Configuration c = new YarnConfiguration(new HdfsConfiguration());
    TreeMap<String, String> out = new TreeMap<>();
    for (Map.Entry<String, String> e : c) {
      String k = e.getKey();
      if (k.startsWith("t.")) out.put(k, c.get(k));
    }
    for (String k : new String[] {"fs.defaultFS", "fs.default.name", "fs.permissions.umask-mode",
        "dfs.nameservices", "dfs.blocksize", "hadoop.zk.address", "yarn.resourcemanager.hostname"})
      out.put(k, c.get(k));
    out.put("bytes(dfs.blocksize)", "" + c.getLongBytes("dfs.blocksize", 0));
    out.put("duration_ms(t.duration)", "" + c.getTimeDuration("t.duration", 0, java.util.concurrent.TimeUnit.MILLISECONDS));
    out.put("int(t.hex)", "" + c.getInt("t.hex", 0));
    out.put("strings(dfs.nameservices)", String.join("|", c.getTrimmedStrings("dfs.nameservices")));
    out.forEach((k, v) -> System.out.println(k + "=" + (v == null ? null : v.trim())));
  }
}
