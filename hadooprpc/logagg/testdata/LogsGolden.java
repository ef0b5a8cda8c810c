// Writes aggregated logs with Hadoop's own classes into golden/, and beside
// them what Hadoop's own reader prints of them. To make them again, in this
// directory, with hadoop-yarn-common and what it needs in lib/:
//   rm -rf golden; java -cp 'lib/*' LogsGolden.java golden 2>/dev/null
// Each of golden/<format>-<compression>/ is a remote-app-log-dir; its text is
// golden/<format>-<compression>.txt.
import java.io.*;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.util.*;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.security.UserGroupInformation;
import org.apache.hadoop.yarn.api.records.*;
import org.apache.hadoop.yarn.conf.YarnConfiguration;
import org.apache.hadoop.yarn.logaggregation.*;
import org.apache.hadoop.yarn.logaggregation.AggregatedLogFormat.*;
import org.apache.hadoop.yarn.logaggregation.filecontroller.*;

public class LogsGolden {
  static final ApplicationId APP = ApplicationId.newInstance(1700000000000L, 12345);
  static final String[][] NODES = {{"nm1", "2"}, {"nm2", "1"}};

  // Logs of every awkward kind: empty, of many lines, binary, with a name that is not ASCII.
  static void logs(File dir, int seed) throws IOException {
    dir.mkdirs();
    StringBuilder big = new StringBuilder();
    for (int i = 0; i < 150 * seed; i++) big.append("line ").append(i).append(" of container ").append(seed).append('\n');
    Files.write(new File(dir, "stdout").toPath(), big.toString().getBytes(StandardCharsets.UTF_8));
    Files.write(new File(dir, "empty").toPath(), new byte[0]);
    byte[] bin = new byte[3000];
    new Random(seed).nextBytes(bin);
    Files.write(new File(dir, "bin\u00e4r-\u20ac").toPath(), bin);
    Files.write(new File(dir, "stderr").toPath(), "End of LogType:stdout\nno end of line".getBytes(StandardCharsets.UTF_8));
    for (File f : dir.listFiles()) f.setLastModified(1700000000000L + 1000 * f.getName().length());
  }

  static void write(String root, String format, String compression, String controller) throws Exception {
    Configuration conf = new YarnConfiguration();
    File out = new File(root, format + "-" + compression).getAbsoluteFile();
    conf.set("fs.defaultFS", "file:///");
    conf.set("yarn.nodemanager.remote-app-log-dir", "file://" + out);
    conf.set("yarn.nodemanager.log-aggregation.compression-type", compression);
    conf.set("yarn.log-aggregation.file-formats", format);
    conf.set("yarn.log-aggregation.file-controller." + format + ".class", controller);
    LogAggregationFileController c = new LogAggregationFileControllerFactory(conf).getFileControllerForWrite();
    UserGroupInformation alice = UserGroupInformation.createRemoteUser("alice");
    File local = Files.createTempDirectory("logs").toFile();
    int n = 0;
    for (String[] node : NODES) {
      NodeId id = NodeId.newInstance(node[0], 45454);
      org.apache.hadoop.fs.Path file = c.getRemoteNodeLogFileForApp(APP, "alice", id);
      new File(file.getParent().toUri().getPath()).mkdirs();
      Map<ApplicationAccessType, String> acls = new HashMap<>();
      acls.put(ApplicationAccessType.VIEW_APP, "alice");
      LogAggregationFileControllerContext ctx = new LogAggregationFileControllerContext(
          file, new org.apache.hadoop.fs.Path(file.getParent(), file.getName() + ".tmp"), false, 0, APP, acls, id, alice);
      c = new LogAggregationFileControllerFactory(conf).getFileControllerForWrite();
      c.initializeWriter(ctx);
      for (int i = 0; i < Integer.parseInt(node[1]); i++) {
        ContainerId cid = ContainerId.newContainerId(ApplicationAttemptId.newInstance(APP, 1), ++n);
        logs(new File(local, APP + "/" + cid), n);
        LogKey key = new LogKey(cid);
        c.write(key, new LogValue(List.of(local.getPath()), cid, "alice"));
      }
      ctx.setUploadedLogsInThisCycle(true);
      c.postWrite(ctx);
      c.closeWriter();
    }
    for (File f : files(out)) {
      if (f.getName().endsWith(".crc")) f.delete(); // of Hadoop's local file system
      else f.setLastModified(1700000000000L);
    }
    ContainerLogsRequest req = new ContainerLogsRequest();
    req.setAppId(APP);
    req.setAppOwner("alice");
    req.setBytes(Long.MAX_VALUE);
    req.setLogTypes(new HashSet<>());
    TimeZone.setDefault(TimeZone.getTimeZone("UTC"));
    try (OutputStream os = new FileOutputStream(new File(root, format + "-" + compression + ".txt"))) {
      c.readAggregatedLogs(req, os);
    }
  }

  static List<File> files(File dir) {
    List<File> all = new ArrayList<>();
    for (File f : dir.listFiles()) if (f.isDirectory()) all.addAll(files(f)); else all.add(f);
    return all;
  }

  public static void main(String[] args) throws Exception {
    String p = "org.apache.hadoop.yarn.logaggregation.filecontroller.";
    for (String compression : new String[] {"none", "gz"}) {
      write(args[0], "TFile", compression, p + "tfile.LogAggregationTFileController");
      write(args[0], "IFile", compression, p + "ifile.LogAggregationIndexedFileController");
    }
  }
}
