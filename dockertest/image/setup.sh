#!/bin/sh
# Runs once inside the base image: accounts, folders, and nothing that depends on a Hadoop version.
set -eu
groupadd --system --gid 900 hadoop
useradd --system --uid 901 --gid hadoop --home-dir /data/dfs --no-create-home --shell /bin/sh hdfs
useradd --system --uid 902 --gid hadoop --home-dir /data/yarn --no-create-home --shell /bin/sh yarn
useradd --uid 1001 --create-home --shell /bin/bash alice
useradd --uid 1002 --create-home --shell /bin/bash bob
useradd --uid 1003 --create-home --shell /bin/bash svc

install -d -m 755 /data /opt/hadoop /opt/yarnd /etc/hadoop
install -d -m 755 -o hdfs -g hadoop /data/dfs
install -d -m 755 -o yarn -g hadoop /data/yarn
install -d -m 1777 /data/tmp /var/log/hadoop /exchange /run/yarnd

# Debian's example of a realm is none of ours: without a file of ours there is no Kerberos.
rm -f /etc/krb5.conf
install -d -m 755 /etc/security/keytabs

# The hdfs jar holds no pages, and a daemon without the folders of its pages refuses to start.
for app in hdfs datanode secondary journal static; do
	install -d "/opt/hadoop/web/webapps/$app"
done

# One JAVA_HOME for every architecture.
java=$(readlink -f "$(command -v java)")
ln -s "${java%/bin/java}" /opt/java

rm -rf /var/cache/apt/archives/*.deb /var/lib/apt/lists/* /usr/share/doc/* /usr/share/man/* /usr/share/locale/*
