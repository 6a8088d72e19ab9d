import t from 'tap';
import { ACCOUNTS, findProblem } from '../../../mesh/local/run-as.ts';

const FINE = { closed: undefined, port: 3000, portMin: 1024 };

void t.test('a process runs as a user of its own unless that user can not do its work', (t) => {
  t.equal(findProblem(FINE), undefined);
  t.equal(findProblem({ ...FINE, port: undefined }), undefined);
  t.match(findProblem({ ...FINE, closed: '/root' }), /can't reach \/root\. Open that to it/);
  t.match(
    findProblem({ ...FINE, closed: new Error('spawn EPERM') }),
    /can't be taken \(spawn EPERM\)/,
  );
  t.match(findProblem({ ...FINE, port: 443 }), /only root may listen on port 443/);
  t.equal(findProblem({ ...FINE, port: 443, portMin: 0 }), undefined);
  t.end();
});

void t.test('no two kinds share a user, and none is root', (t) => {
  const uids = Object.values(ACCOUNTS).map(({ uid }) => uid);
  t.equal(new Set(uids).size, uids.length);
  t.notOk(uids.includes(0));
  t.end();
});
