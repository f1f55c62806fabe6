// An Express site behind Tollgate: a page for everybody and a report for those who paid.
//
// There is no billing code. Tollgate lets /premium through for paying accounts only and says who asks in headers. What
// matters is taken from the signed assertion alone, so that nobody who reaches this process past the gate, or through a
// gateway that lets a header through, can claim anything. A gateway may send a header empty where there is nothing.
//
//     npm install
//     tollgate run --config tollgate.toml
//     SITE_URL=http://127.0.0.1:8080 PORT=3000 npm start

import express from 'express';
import { createRemoteJWKSet, jwtVerify } from 'jose';

const SITE_URL = process.env.SITE_URL ?? 'http://127.0.0.1:8080'; // site.url in tollgate.toml
const AUDIENCE = process.env.AUDIENCE ?? '127.0.0.1'; // identity.audience; by default the host of site.url
const KEYS = createRemoteJWKSet(new URL('/.well-known/tollgate/jwks.json', SITE_URL));

// Who asks: req.visitor has the verified claims (sub, tier, status, features), or is null for a stranger.
async function visitor(req, res, next) {
  const assertion = req.get('X-Entitlement-Assertion');
  req.visitor = null;
  if (assertion) {
    try {
      const { payload } = await jwtVerify(assertion, KEYS, {
        algorithms: ['EdDSA'],
        audience: AUDIENCE,
        issuer: SITE_URL,
        requiredClaims: ['exp', 'iss', 'aud', 'sub'],
      });
      req.visitor = payload;
    } catch {
      return res.status(401).json({ detail: 'the assertion does not verify' });
    }
  }
  next();
}

// Refuses whoever came past the gate.
function subscriber(req, res, next) {
  if (req.visitor === null) {
    return res.status(401).json({ detail: 'this page is served through Tollgate only' });
  }
  if (!req.visitor.features.includes('archive')) {
    return res.status(403).json({ detail: 'this page needs the feature `archive`' });
  }
  next();
}

const app = express();
app.use(visitor);

app.get('/', (req, res) => {
  const tier = req.visitor?.tier ?? 'stranger';
  res.json({ page: 'home', greeting: `Welcome, ${tier}!` });
});

// For those who paid.
app.get('/premium/report', subscriber, (req, res) => {
  const { sub, tier, features } = req.visitor;
  const until = req.get('X-Entitlement-Valid-Until') || null;
  res.json({ page: 'report', account: sub, tier, features, until });
});

app.listen(Number(process.env.PORT ?? 3000), '127.0.0.1');
