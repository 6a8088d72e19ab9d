import t from 'tap';
import { refuseOldServer } from '../../nats/server-version.ts';

void t.test('a nats-server that is too old is refused', (t) => {
  for (const version of ['1.4.1', '2.9.10', '2.13.4', '2.13.0-RC.1']) {
    const line = `nats-server ${version} is too old: upgrade it to 2.14 or later`;
    t.equal(refuseOldServer(version), line);
  }
  for (const version of ['2.14.0', '2.14.0-RC.1', '2.14.5', '2.15.1', '3.0.0', '10.0.0']) {
    t.equal(refuseOldServer(version), undefined, version);
  }
  t.equal(refuseOldServer('dev'), undefined, 'one that its builder knows better');
  t.end();
});
