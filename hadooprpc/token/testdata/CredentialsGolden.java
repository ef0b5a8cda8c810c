// Writes golden/v0.bin, golden/v1.bin and golden/empty.bin with Hadoop's own
// classes. To make them again, in this directory, with hadoop-common and what
// it needs in lib/:   java -cp 'lib/*' CredentialsGolden.java golden
import java.io.*;
import org.apache.hadoop.io.Text;
import org.apache.hadoop.security.Credentials;
import org.apache.hadoop.security.token.Token;
import org.apache.hadoop.security.token.TokenIdentifier;

public class CredentialsGolden {
  static byte[] bytes(int n, int seed) {
    byte[] b = new byte[n];
    for (int i = 0; i < n; i++) b[i] = (byte) (seed + i * 7);
    return b;
  }

  static void write(Credentials c, String file, Credentials.SerializedFormat f) throws IOException {
    try (DataOutputStream out = new DataOutputStream(new FileOutputStream(file))) {
      c.writeTokenStorageToStream(out, f);
    }
  }

  public static void main(String[] args) throws IOException {
    Credentials c = new Credentials();
    // Sizes on both sides of VInt's one-byte, two-byte and three-byte forms.
    int[][] sizes = {{0, 0}, {1, 127}, {128, 255}, {256, 70000}};
    String[] kinds = {"", "YARN_AM_RM_TOKEN", "HDFS_DELEGATION_TOKEN", "Kind-\u00fc\u20ac"};
    for (int i = 0; i < sizes.length; i++)
      c.addToken(new Text("alias-" + i), new Token<TokenIdentifier>(bytes(sizes[i][0], i), bytes(sizes[i][1], 100 + i),
          new Text(kinds[i]), new Text("10.0.0." + i + ":8030")));
    c.addSecretKey(new Text("secret"), bytes(200, 9));
    c.addSecretKey(new Text(""), new byte[0]);
    write(c, args[0] + "/v0.bin", Credentials.SerializedFormat.WRITABLE);
    write(c, args[0] + "/v1.bin", Credentials.SerializedFormat.PROTOBUF);
    write(new Credentials(), args[0] + "/empty.bin", Credentials.SerializedFormat.WRITABLE);
  }
}
