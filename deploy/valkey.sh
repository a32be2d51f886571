#!/bin/sh
# Starts Valkey for one user, `default`, with the password of the secret and without the commands that
# could stop, empty, copy or reconfigure the server. The password is in no argument and no variable.
set -eu

hash=$(tr -d '\n' < /run/secrets/redis_password | sha256sum | cut -d ' ' -f 1)
# INFO and CLIENT are asked by RQ: the version, and the names of its workers. RQ, its locks and the rates
# load scripts and run them; nobody removes them for all others, and functions are not used at all.
printf 'user default on #%s ~* &* +@all -@dangerous -@admin -script|flush -script|kill -function -fcall -fcall_ro +info +client|setname +client|setinfo +client|list\n' \
    "$hash" > /tmp/users.acl

exec valkey-server \
    --bind '*' -::'*' --port 6379 --dir /data --aclfile /tmp/users.acl \
    --appendonly yes --appendfsync everysec --aof-load-truncated yes --save '' \
    --maxmemory 384mb --maxmemory-policy noeviction
