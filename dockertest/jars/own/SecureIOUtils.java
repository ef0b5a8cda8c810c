package org.apache.hadoop.io;

import java.io.File;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.attribute.PosixFilePermission;
import java.util.EnumSet;
import java.util.Set;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;

/**
 * Takes the place of Hadoop's class of this name, on test clusters with Kerberos only. Hadoop's compares a file's owner with the
 * one that is expected, needs its native library for that, and ends the NodeManager where that is missing. This one opens
 * the file without a look at its owner.
 */
public class SecureIOUtils {
  private SecureIOUtils() {}

  public static RandomAccessFile openForRandomRead(File f, String mode, String owner, String group) throws IOException {
    return new RandomAccessFile(f, mode);
  }

  public static FSDataInputStream openFSDataInputStream(File f, String owner, String group) throws IOException {
    return FileSystem.getLocal(new Configuration()).getRaw().open(new Path(f.getAbsolutePath()));
  }

  public static FileInputStream openForRead(File f, String owner, String group) throws IOException {
    return new FileInputStream(f);
  }

  /** Creates a file with these permission bits. */
  public static FileOutputStream createForWrite(File f, int permissions) throws IOException {
    Set<PosixFilePermission> wanted = EnumSet.noneOf(PosixFilePermission.class);
    PosixFilePermission[] all = PosixFilePermission.values(); // OWNER_READ, the highest bit, to OTHERS_EXECUTE
    for (int i = 0; i < all.length; i++) {
      if ((permissions >> (all.length - 1 - i) & 1) != 0) {
        wanted.add(all[i]);
      }
    }
    try {
      Files.createFile(f.toPath());
    } catch (FileAlreadyExistsException e) {
      throw new AlreadyExistsException(e);
    }
    Files.setPosixFilePermissions(f.toPath(), wanted);
    return new FileOutputStream(f);
  }

  /** The file to be created is there. */
  public static class AlreadyExistsException extends IOException {
    private static final long serialVersionUID = 1L;

    public AlreadyExistsException(String message) {
      super(message);
    }

    public AlreadyExistsException(Throwable cause) {
      super(cause);
    }
  }
}
