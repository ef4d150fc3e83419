#!/bin/sh
# Lets tasks of Windlass log in at Vault or OpenBao, each with rights of its own.
# Needs VAULT_ADDR and a VAULT_TOKEN that may do this; VAULT=bao for OpenBao.
set -eu
VAULT=${VAULT:-vault}

"$VAULT" read sys/auth/windlass >/dev/null 2>&1 || "$VAULT" auth enable -path=windlass jwt
"$VAULT" read sys/mounts/transit >/dev/null 2>&1 || "$VAULT" secrets enable -path=transit transit
ACCESSOR=$("$VAULT" read -field=accessor sys/auth/windlass)

"$VAULT" write auth/windlass/config - <<'END'
{
  "bound_issuer": "http://127.0.0.1:7400",
  "jwt_supported_algs": [
    "EdDSA"
  ],
  "default_role": "task",
  "jwks_url": "http://127.0.0.1:7400/.well-known/jwks.json"
}
END

"$VAULT" policy write windlass-task-1 - <<END
# What a task of Windlass may do: read the secrets its JWT names, seal and open values of
# its namespace.
path "secret/data/{{identity.entity.aliases.${ACCESSOR}.metadata.environment}}/{{identity.entity.aliases.${ACCESSOR}.metadata.namespace}}/{{identity.entity.aliases.${ACCESSOR}.metadata.secret_0}}" {
  capabilities = ["read"]
}
path "transit/encrypt/windlass-{{identity.entity.aliases.${ACCESSOR}.metadata.namespace}}" {
  capabilities = ["create", "update"]
}
path "transit/decrypt/windlass-{{identity.entity.aliases.${ACCESSOR}.metadata.namespace}}" {
  capabilities = ["update"]
}
END

"$VAULT" policy write windlass-task-4 - <<END
# What a task of Windlass may do: read the secrets its JWT names, seal and open values of
# its namespace.
path "secret/data/{{identity.entity.aliases.${ACCESSOR}.metadata.environment}}/{{identity.entity.aliases.${ACCESSOR}.metadata.namespace}}/{{identity.entity.aliases.${ACCESSOR}.metadata.secret_0}}" {
  capabilities = ["read"]
}
path "secret/data/{{identity.entity.aliases.${ACCESSOR}.metadata.environment}}/{{identity.entity.aliases.${ACCESSOR}.metadata.namespace}}/{{identity.entity.aliases.${ACCESSOR}.metadata.secret_1}}" {
  capabilities = ["read"]
}
path "secret/data/{{identity.entity.aliases.${ACCESSOR}.metadata.environment}}/{{identity.entity.aliases.${ACCESSOR}.metadata.namespace}}/{{identity.entity.aliases.${ACCESSOR}.metadata.secret_2}}" {
  capabilities = ["read"]
}
path "secret/data/{{identity.entity.aliases.${ACCESSOR}.metadata.environment}}/{{identity.entity.aliases.${ACCESSOR}.metadata.namespace}}/{{identity.entity.aliases.${ACCESSOR}.metadata.secret_3}}" {
  capabilities = ["read"]
}
path "transit/encrypt/windlass-{{identity.entity.aliases.${ACCESSOR}.metadata.namespace}}" {
  capabilities = ["create", "update"]
}
path "transit/decrypt/windlass-{{identity.entity.aliases.${ACCESSOR}.metadata.namespace}}" {
  capabilities = ["update"]
}
END

"$VAULT" policy write windlass-task - <<END
# What a task of Windlass may do: read the secrets its JWT names, seal and open values of
# its namespace.
path "secret/data/{{identity.entity.aliases.${ACCESSOR}.metadata.environment}}/{{identity.entity.aliases.${ACCESSOR}.metadata.namespace}}/{{identity.entity.aliases.${ACCESSOR}.metadata.secret_0}}" {
  capabilities = ["read"]
}
path "secret/data/{{identity.entity.aliases.${ACCESSOR}.metadata.environment}}/{{identity.entity.aliases.${ACCESSOR}.metadata.namespace}}/{{identity.entity.aliases.${ACCESSOR}.metadata.secret_1}}" {
  capabilities = ["read"]
}
path "secret/data/{{identity.entity.aliases.${ACCESSOR}.metadata.environment}}/{{identity.entity.aliases.${ACCESSOR}.metadata.namespace}}/{{identity.entity.aliases.${ACCESSOR}.metadata.secret_2}}" {
  capabilities = ["read"]
}
path "secret/data/{{identity.entity.aliases.${ACCESSOR}.metadata.environment}}/{{identity.entity.aliases.${ACCESSOR}.metadata.namespace}}/{{identity.entity.aliases.${ACCESSOR}.metadata.secret_3}}" {
  capabilities = ["read"]
}
path "secret/data/{{identity.entity.aliases.${ACCESSOR}.metadata.environment}}/{{identity.entity.aliases.${ACCESSOR}.metadata.namespace}}/{{identity.entity.aliases.${ACCESSOR}.metadata.secret_4}}" {
  capabilities = ["read"]
}
path "secret/data/{{identity.entity.aliases.${ACCESSOR}.metadata.environment}}/{{identity.entity.aliases.${ACCESSOR}.metadata.namespace}}/{{identity.entity.aliases.${ACCESSOR}.metadata.secret_5}}" {
  capabilities = ["read"]
}
path "secret/data/{{identity.entity.aliases.${ACCESSOR}.metadata.environment}}/{{identity.entity.aliases.${ACCESSOR}.metadata.namespace}}/{{identity.entity.aliases.${ACCESSOR}.metadata.secret_6}}" {
  capabilities = ["read"]
}
path "secret/data/{{identity.entity.aliases.${ACCESSOR}.metadata.environment}}/{{identity.entity.aliases.${ACCESSOR}.metadata.namespace}}/{{identity.entity.aliases.${ACCESSOR}.metadata.secret_7}}" {
  capabilities = ["read"]
}
path "secret/data/{{identity.entity.aliases.${ACCESSOR}.metadata.environment}}/{{identity.entity.aliases.${ACCESSOR}.metadata.namespace}}/{{identity.entity.aliases.${ACCESSOR}.metadata.secret_8}}" {
  capabilities = ["read"]
}
path "secret/data/{{identity.entity.aliases.${ACCESSOR}.metadata.environment}}/{{identity.entity.aliases.${ACCESSOR}.metadata.namespace}}/{{identity.entity.aliases.${ACCESSOR}.metadata.secret_9}}" {
  capabilities = ["read"]
}
path "secret/data/{{identity.entity.aliases.${ACCESSOR}.metadata.environment}}/{{identity.entity.aliases.${ACCESSOR}.metadata.namespace}}/{{identity.entity.aliases.${ACCESSOR}.metadata.secret_10}}" {
  capabilities = ["read"]
}
path "secret/data/{{identity.entity.aliases.${ACCESSOR}.metadata.environment}}/{{identity.entity.aliases.${ACCESSOR}.metadata.namespace}}/{{identity.entity.aliases.${ACCESSOR}.metadata.secret_11}}" {
  capabilities = ["read"]
}
path "secret/data/{{identity.entity.aliases.${ACCESSOR}.metadata.environment}}/{{identity.entity.aliases.${ACCESSOR}.metadata.namespace}}/{{identity.entity.aliases.${ACCESSOR}.metadata.secret_12}}" {
  capabilities = ["read"]
}
path "secret/data/{{identity.entity.aliases.${ACCESSOR}.metadata.environment}}/{{identity.entity.aliases.${ACCESSOR}.metadata.namespace}}/{{identity.entity.aliases.${ACCESSOR}.metadata.secret_13}}" {
  capabilities = ["read"]
}
path "secret/data/{{identity.entity.aliases.${ACCESSOR}.metadata.environment}}/{{identity.entity.aliases.${ACCESSOR}.metadata.namespace}}/{{identity.entity.aliases.${ACCESSOR}.metadata.secret_14}}" {
  capabilities = ["read"]
}
path "secret/data/{{identity.entity.aliases.${ACCESSOR}.metadata.environment}}/{{identity.entity.aliases.${ACCESSOR}.metadata.namespace}}/{{identity.entity.aliases.${ACCESSOR}.metadata.secret_15}}" {
  capabilities = ["read"]
}
path "transit/encrypt/windlass-{{identity.entity.aliases.${ACCESSOR}.metadata.namespace}}" {
  capabilities = ["create", "update"]
}
path "transit/decrypt/windlass-{{identity.entity.aliases.${ACCESSOR}.metadata.namespace}}" {
  capabilities = ["update"]
}
END

"$VAULT" policy write windlass-own - <<END
# What every task of Windlass may do: look at its token, renew it and what it leased, and
# give it back.
path "auth/token/lookup-self" {
  capabilities = ["read", "update"]
}
path "auth/token/renew-self" {
  capabilities = ["read", "update"]
}
path "auth/token/revoke-self" {
  capabilities = ["read", "update"]
}
path "sys/leases/renew" {
  capabilities = ["update"]
}
END

"$VAULT" write auth/windlass/role/task-1 - <<'END'
{
  "role_type": "jwt",
  "user_claim": "sub",
  "bound_audiences": [
    "windlass"
  ],
  "claim_mappings": {
    "windlass_namespace": "namespace",
    "windlass_workflow": "workflow",
    "windlass_version": "version",
    "windlass_environment": "environment",
    "windlass_secret_0": "secret_0"
  },
  "groups_claim": "windlass_secrets",
  "clock_skew_leeway": 30,
  "expiration_leeway": 30,
  "not_before_leeway": 30,
  "token_type": "service",
  "token_policies": [
    "windlass-task-1",
    "windlass-own"
  ],
  "token_no_default_policy": true,
  "token_ttl": 60,
  "token_max_ttl": 86400,
  "bound_claims": {
    "windlass_slots": [
      "1"
    ]
  }
}
END

"$VAULT" write auth/windlass/role/task-4 - <<'END'
{
  "role_type": "jwt",
  "user_claim": "sub",
  "bound_audiences": [
    "windlass"
  ],
  "claim_mappings": {
    "windlass_namespace": "namespace",
    "windlass_workflow": "workflow",
    "windlass_version": "version",
    "windlass_environment": "environment",
    "windlass_secret_0": "secret_0",
    "windlass_secret_1": "secret_1",
    "windlass_secret_2": "secret_2",
    "windlass_secret_3": "secret_3"
  },
  "groups_claim": "windlass_secrets",
  "clock_skew_leeway": 30,
  "expiration_leeway": 30,
  "not_before_leeway": 30,
  "token_type": "service",
  "token_policies": [
    "windlass-task-4",
    "windlass-own"
  ],
  "token_no_default_policy": true,
  "token_ttl": 60,
  "token_max_ttl": 86400,
  "bound_claims": {
    "windlass_slots": [
      "4"
    ]
  }
}
END

"$VAULT" write auth/windlass/role/task - <<'END'
{
  "role_type": "jwt",
  "user_claim": "sub",
  "bound_audiences": [
    "windlass"
  ],
  "claim_mappings": {
    "windlass_namespace": "namespace",
    "windlass_workflow": "workflow",
    "windlass_version": "version",
    "windlass_environment": "environment",
    "windlass_secret_0": "secret_0",
    "windlass_secret_1": "secret_1",
    "windlass_secret_2": "secret_2",
    "windlass_secret_3": "secret_3",
    "windlass_secret_4": "secret_4",
    "windlass_secret_5": "secret_5",
    "windlass_secret_6": "secret_6",
    "windlass_secret_7": "secret_7",
    "windlass_secret_8": "secret_8",
    "windlass_secret_9": "secret_9",
    "windlass_secret_10": "secret_10",
    "windlass_secret_11": "secret_11",
    "windlass_secret_12": "secret_12",
    "windlass_secret_13": "secret_13",
    "windlass_secret_14": "secret_14",
    "windlass_secret_15": "secret_15"
  },
  "groups_claim": "windlass_secrets",
  "clock_skew_leeway": 30,
  "expiration_leeway": 30,
  "not_before_leeway": 30,
  "token_type": "service",
  "token_policies": [
    "windlass-task",
    "windlass-own"
  ],
  "token_no_default_policy": true,
  "token_ttl": 60,
  "token_max_ttl": 86400
}
END
