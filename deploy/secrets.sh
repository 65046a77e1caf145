#!/bin/sh
# Makes the passwords and the token that docker-compose.yml asks for, in the folder secrets (or SECRETS): one file each, which
# containers see below /run/secrets. What is there already stays; what stands in an older .env is taken over.
set -eu
cd "$(dirname "$0")/.."
folder=${SECRETS:-secrets}
mkdir -p "$folder"
chmod 700 "$folder" # on this machine nobody else gets in; inside a container each file is readable for its own user
in_env() { sed -n "s/^$1=//p" .env 2>/dev/null | tail -1 | sed "s/^'\(.*\)'\$/\1/; s/^\"\(.*\)\"\$/\1/"; }
secret() { # secret FILE VARIABLE DEFAULT
  [ -e "$folder/$1" ] && return
  value=$(in_env "$2")
  printf %s "${value:-$3}" >"$folder/$1"
  chmod 444 "$folder/$1"
}
random() { od -An -N20 -tx1 /dev/urandom | tr -d ' \n'; } # 40 hexadecimal digits, as Label Studio wants its token
secret postgres_password POSTGRES_PASSWORD "$(random)"
secret redis_password REDIS_PASSWORD "$(random)"
secret label_studio_password LABEL_STUDIO_PASSWORD "$(random)"
secret label_studio_token CHEQUEMATE_STUDIO_TOKEN "$(random)"
secret backend_password CHEQUEMATE_PASSWORD "$(random)"
secret reader_key CHEQUEMATE_READER_KEY "" # only a vLLM server wants one
echo "Passwords are in $folder: label_studio_password to log in to Label Studio, backend_password for the lead's page."
