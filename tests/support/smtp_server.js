// The npm package smtp-server: takes {port, key, cert, users, options} as its argument, says one JSON line for each
// message it took: who sent it, over what, with which parameters, and the message itself in base64.
'use strict';

const { readFileSync } = require('fs');
const { SMTPServer } = require('smtp-server');

const task = JSON.parse(process.argv[2]);
const tls = task.chain ? { key: readFileSync(task.chain), cert: readFileSync(task.chain) } : {};

const server = new SMTPServer({
    name: 'smtp-server.example',
    disableReverseLookup: true,
    authOptional: !task.users,
    authMethods: ['PLAIN', 'LOGIN'],
    hideENHANCEDSTATUSCODES: false,
    hideDSN: false,
    hideREQUIRETLS: false,
    ...tls,
    ...task.options,
    onAuth(auth, session, callback) {
        const known = task.users && task.users[auth.username] === auth.password;
        callback(known ? null : new Error('Invalid login'), known ? { user: auth.username } : undefined);
    },
    onData(stream, session, callback) {
        const pieces = [];
        stream.on('data', piece => pieces.push(piece));
        stream.on('end', () => {
            const { mailFrom, rcptTo, bodyType, smtpUtf8, requireTLS, dsn } = session.envelope;
            const told = { mailFrom, rcptTo, bodyType, smtpUtf8, requireTLS, dsn };
            const { secure, user, transmissionType, clientHostname, remoteAddress, hostNameAppearsAs } = session;
            const who = { secure, user, transmissionType, clientHostname, remoteAddress, hostNameAppearsAs };
            console.log(JSON.stringify({ ...told, ...who, octets: Buffer.concat(pieces).toString('base64') }));
            callback(null, 'Ok: taken');
        });
    },
});
server.on('error', error => console.error(String(error)));
server.listen(task.port, '127.0.0.1');
