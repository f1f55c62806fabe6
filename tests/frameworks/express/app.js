// A site with express-session, as docs/identity.md has it: it signs in and out, and its pages show whom they are told of.
import express from 'express';
import session from 'express-session';

const app = express();
app.set('trust proxy', 'loopback');
app.use(session({ secret: 'of a test', resave: false, saveUninitialized: false }));

app.post('/login', (req, res) =>
  req.session.regenerate(() => {
    req.session.user = req.query.as;
    res.send('signed in');
  }));

app.post('/logout', (req, res) =>
  req.session.destroy(() => {
    res.clearCookie('connect.sid');
    res.send('signed out');
  }));

app.get('/internal/session', (req, res) =>
  req.session.user ? res.json({ user: { id: req.session.user } }) : res.sendStatus(401));

app.use((req, res) => res.json({ account: req.get('x-entitlement-account') ?? null }));

app.listen(Number(process.env.PORT), '127.0.0.1');
