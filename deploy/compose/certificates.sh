#!/bin/sh
# Makes an authority, and the certificates of imapgate and of the Dovecots, unless they are there: certificates.sh FOLDER
set -eu

cd "$1"
[ ! -e done ] || exit 0
umask 077

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj '/CN=imapgate example' \
	-keyout ca.key -out ca.crt

# sign NAME HOST...
sign() {
	name=$1
	shift
	names=
	for host; do names=$names,DNS:$host; done
	echo "subjectAltName=${names#,}" >"$name.ext"
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" -keyout "$name.key" -out "$name.csr"
	openssl x509 -req -in "$name.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days 825 -extfile "$name.ext" -out "$name.crt"
	rm "$name.csr" "$name.ext"
}
sign imapgate localhost imapgate
sign dovecot dovecot-1 dovecot-2

chown 65532:65532 imapgate.key # the user of imapgate's image
chmod 644 ./*.crt
chmod 755 .
: >done
