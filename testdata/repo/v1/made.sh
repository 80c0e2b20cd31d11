#!/bin/bash
# made.sh: how the repository in this folder was made, once, by the first program of
# format 1. It is kept for reading: what it made is never made anew.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
cd "$work"
umask 022
export RESTANTE_REPOSITORY=$here/repository RESTANTE_PASSWORD_FILE=$here/password XDG_CACHE_HOME=$work/cache

# list FOLDER: what a restore of it has to give.
list() {
	cd "$1"
	find . -printf '%P|%y|%m|%T@|%s|%l\n' | sed 's/|d|\([0-9]*\)|\([-0-9.]*\)|[0-9]*|/|d|\1|\2||/' | LC_ALL=C sort
	find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum
}
backup() { restante backup src/vmail --store mail --quiet "$@"; }
id() { restante snapshots --json | grep "\"tags\":\[\"$1\"\]" | sed 's/.*"id":"\([0-9a-f]*\)".*/\1/'; }

python3 "$here/store.py"
restante init
restante key add --label mx --to-file mx.key
restante key add --label gone --to-file gone.key
restante key remove "$(restante key list | awk '/gone/ { print $1 }')"
backup --tag one
restante hold "$(id one)" --reason 'kept for tests' --until 2126-01-01
(list src/vmail) >"$here/one.want"

# Twenty nights in each of which one flag changes: small index objects, which
# pruning puts together.
cur=src/vmail/example.com/alice/Maildir/cur
was=$(echo $cur/1700000005*)
for night in $(seq 20); do
	is=$cur/1700000005.M1P1.mx,S=1:2,$(echo DFPRS | cut -c1-$((1 + night % 5)))
	mv "$was" "$is"
	was=$is
	(unset RESTANTE_PASSWORD_FILE && backup --key-file mx.key --tag night)
done

# What is forgotten and needed by nothing else goes under a mark.
head -c 400000 /dev/urandom >src/vmail/example.com/bob/spool
backup --tag junk
rm src/vmail/example.com/bob/spool
restante forget "$(id junk)"
restante forget --store mail --keep-last 3 --keep-tag one --keep-tag night
restante prune --grace 0 --min-age 0
head -c 400000 /dev/urandom >src/vmail/example.com/bob/spool
backup --tag marked
rm src/vmail/example.com/bob/spool
restante forget "$(id marked)"
restante prune --grace 24h --min-age 0

# A pack is damaged, the next backup stores again what was in it, and a repair
# takes it away: the record of damage stays.
pack=$(find "$here/repository/packs" -type f -size +200k -size -300k | head -1)
printf 'X' | dd of="$pack" bs=1 seek=3000 conv=notrunc status=none
restante check --read-data && exit 1
backup --tag night --paranoid
restante repair packs

mv $cur/1700000001* $cur/1700000001.M1P1.mx,S=1:2,FS
rm $cur/1700000002*
printf 'From: d@example.org\nTo: bob@example.com\nSubject: delivered\nMessage-ID: <2000@example.org>\n\nHello\n' >src/vmail/example.com/bob/Maildir/new/1700000200.M1P1.mx
touch -d @1700000200 src/vmail/example.com/bob/Maildir/new/1700000200.M1P1.mx
backup --tag two
restante check --read-data
(list src/vmail) >"$here/two.want"
restante mailboxes --quiet >"$here/mailboxes.want"

# One that is forgotten, and can be taken back.
mkdir three
touch three/empty
restante backup three --tag three --quiet
restante forget "$(id three)"

# A backup that was killed.
mkdir killed
truncate -s 3G killed/large
restante backup killed --store killed --quiet &
sleep 1.5
kill -9 $!
wait || true
rm -r "$work"
