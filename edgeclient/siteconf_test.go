package edgeclient

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/yarnd/yarnd/hadooprpc/conf"
)

// What containers get says the same as the submitter's files, less the secrets
// and the defaults.
func TestSiteXMLRoundTrip(t *testing.T) {
	dir := t.TempDir()
	site := `<configuration>
	<property><name>fs.defaultFS</name><value>hdfs://nn:8020</value></property>
	<property><name>a.b</name><value>x &lt; ${fs.defaultFS}</value></property>
	<property><name>ssl.server.keystore.password</name><value>hunter2</value></property>
	<property><name>fs.s3a.secret.key</name><value>hunter2</value></property>
	<property><name>fs.s3a.session.token</name><value>hunter2</value></property>
	<property><name>fs.s3a.bucket.b.access.key</name><value>hunter2</value></property>
	<property><name>fs.s3a.encryption.key</name><value>hunter2</value></property>
	<property><name>fs.azure.account.key.acc.blob.core.windows.net</name><value>hunter2</value></property>
	<property><name>fs.azure.account.oauth2.refresh.token</name><value>hunter2</value></property>
	<property><name>fs.azure.sas.container.account</name><value>hunter2</value></property>
	<property><name>ssl.client.truststore.keystore.pass</name><value>hunter2</value></property>
	<property><name>hadoop.security.credential.provider.path</name><value>hunter2</value></property>
	</configuration>`
	if err := os.WriteFile(filepath.Join(dir, "core-site.xml"), []byte(site), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := conf.Load(conf.Options{Dirs: []string{dir}, Overrides: map[string]string{"over": "ridden"}})
	if err != nil {
		t.Fatal(err)
	}
	text, err := siteXML(c)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "hunter2") {
		t.Errorf("a secret leaves the edge node:\n%s", text)
	}
	there := t.TempDir()
	if err := os.WriteFile(filepath.Join(there, siteFile), text, 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := conf.Load(conf.Options{Dirs: []string{there}})
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"fs.defaultFS": "hdfs://nn:8020", "a.b": "x < hdfs://nn:8020", "over": "ridden"} {
		if got := d.String(key, ""); got != want {
			t.Errorf("%s = %q in the container, want %q", key, got, want)
		}
	}
	if strings.Count(string(text), "<property>") != 3 {
		t.Errorf("more than what was set:\n%s", text)
	}
}
