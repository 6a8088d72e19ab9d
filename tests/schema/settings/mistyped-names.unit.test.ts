import t from 'tap';
import { CounterConfig } from '../../../counter/config.ts';
import { GatewayConfig } from '../../../gateway/config.ts';
import { ProvisionConfig } from '../../../mesh/deploy/config.ts';
import { MeshSettings } from '../../../mesh/local/config.ts';
import { findMistypedNames } from '../../../schema/settings/mistyped-names.ts';

const SCHEMAS = { MeshSettings, GatewayConfig, CounterConfig, ProvisionConfig };

void t.test('a name that looks like a setting is said with that setting', (t) => {
  const meant: Record<string, string> = {
    GATEWAY: 'GATEWAYS',
    COUNTER: 'COUNTERS',
    gateways: 'GATEWAYS',
    NATS_NODE: 'NATS_NODES',
    DATADIR: 'DATA_DIR',
    DATABSAE_URL: 'DATABASE_URL',
    DATABASE_URI: 'DATABASE_URL',
    FLUSH_INTERVAL: 'FLUSH_INTERVAL_MS',
    FLUSH: '',
    PROT: 'PORT',
    REPLICA: 'REPLICAS',
  };
  for (const [name, setting] of Object.entries(meant)) {
    const lines = setting === '' ? [] : [`${name} is set, which is no setting: ${setting} is one`];
    t.strictSame(findMistypedNames(MeshSettings, { [name]: '3' }), lines);
  }
  t.end();
});

void t.test('where the setting itself is set, nothing is said', (t) => {
  t.strictSame(findMistypedNames(MeshSettings, { GATEWAY: '3', GATEWAYS: '2' }), []);
  t.strictSame(findMistypedNames(MeshSettings, { GATEWAYS: '2' }), []);
  t.end();
});

void t.test('neither the settings of other programs of ours nor usual variables are near', (t) => {
  const ours = Object.values(SCHEMAS).flatMap(({ properties }) => Object.keys(properties));
  const usual =
    'PATH HOME PWD OLDPWD USER LOGNAME SHELL TERM LANG LC_ALL TZ HOSTNAME HOSTTYPE MAIL EDITOR PAGER ' +
    'DISPLAY SHLVL TMPDIR CI DEBUG NODE_ENV NODE_OPTIONS NODE_PATH http_proxy https_proxy no_proxy ' +
    'XDG_CONFIG_HOME XDG_DATA_DIRS SSH_AUTH_SOCK KUBERNETES_PORT KUBERNETES_SERVICE_HOST PGHOST PGPORT ' +
    'SSL_CERT_FILE SSL_KEY_FILE SSL_CERT_DIR OAUTH CA_FILE DATA_HOME PROXIES ' +
    'GATEWAY_PORT GATEWAY_SERVICE_HOST COUNTER_PORT NATS_PORT NATS_SERVICE_PORT INIT_CWD _';
  const all = [...ours, ...usual.split(' ')];
  const environment = Object.fromEntries(all.map((name) => [name, '']));
  for (const [program, schema] of Object.entries(SCHEMAS)) {
    t.strictSame(findMistypedNames(schema, environment), [], program);
  }
  t.end();
});
