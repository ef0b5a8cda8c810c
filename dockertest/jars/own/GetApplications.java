package test.yarnd;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.apache.hadoop.yarn.client.api.YarnClient;
import org.apache.hadoop.yarn.conf.YarnConfiguration;

/**
 * Calls getApplications through Hadoop's own client, so many times from so many threads, and prints how many a second, in
 * words of dockertest/e2e/calls, which does the same with hadooprpc. As many calls before are not counted: the JVM compiles.
 */
public final class GetApplications {
  private GetApplications() {}

  public static void main(String[] args) throws Exception {
    int calls = Integer.parseInt(args[0]);
    int threads = Integer.parseInt(args[1]);
    YarnClient client = YarnClient.createYarnClient();
    client.init(new YarnConfiguration());
    client.start();
    ExecutorService pool = Executors.newFixedThreadPool(threads);
    try {
      round(client, pool, calls, threads);
      long began = System.nanoTime();
      int apps = round(client, pool, calls, threads);
      double seconds = (System.nanoTime() - began) / 1e9;
      System.out.printf("%.1f calls/s, %d applications%n", calls / threads * threads / seconds, apps);
    } finally {
      pool.shutdown();
      client.stop();
    }
  }

  private static int round(YarnClient client, ExecutorService pool, int calls, int threads) throws Exception {
    List<Future<Integer>> all = new ArrayList<>();
    for (int i = 0; i < threads; i++) {
      Callable<Integer> work =
          () -> {
            int apps = 0;
            for (int n = 0; n < calls / threads; n++) {
              apps = client.getApplications().size();
            }
            return apps;
          };
      all.add(pool.submit(work));
    }
    int apps = 0;
    for (Future<Integer> one : all) {
      apps = one.get();
    }
    return apps;
  }
}
