package test.yarnd;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.permission.FsPermission;

/**
 * Makes the folders of HDFS that its input lists, one a line, as path, owner, group and mode in octal; it corrects what is there. It does
 * in one JVM what FsShell needs one for each step of.
 */
public final class Folders {
  private Folders() {}

  public static void main(String[] args) throws IOException {
    try (FileSystem fs = FileSystem.get(new Configuration());
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8))) {
      for (String line; (line = in.readLine()) != null; ) {
        String[] words = line.split(" ");
        Path path = new Path(words[0]);
        FsPermission mode = new FsPermission((short) Integer.parseInt(words[3], 8));
        fs.mkdirs(path);
        FileStatus now = fs.getFileStatus(path);
        if (!now.getPermission().equals(mode)) {
          fs.setPermission(path, mode);
        }
        if (!now.getOwner().equals(words[1]) || !now.getGroup().equals(words[2])) {
          fs.setOwner(path, words[1], words[2]);
        }
      }
    }
  }
}
