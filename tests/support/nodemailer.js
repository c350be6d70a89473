// Nodemailer as a client: reads {transport, messages} from standard input, says one JSON line for each message.
'use strict';

const { createTransport } = require('nodemailer');

async function main(task) {
    const said = [];
    const note = entry => said.push(entry.message || '');
    const level = (entry, ...rest) => note({ message: typeof entry === 'object' ? String(rest[0]) : String(entry) });
    const logger = { level() {}, trace: level, debug: level, info: level, warn: level, error: level, fatal: level };
    const transport = createTransport({ ...task.transport, logger, debug: true });
    for (const message of task.messages) {
        for (const attachment of message.attachments || []) {
            attachment.content = Buffer.from(attachment.content, 'base64');
        }
        let outcome;
        try {
            const { accepted, rejected, response } = await transport.sendMail(message);
            outcome = { accepted, rejected, response };
        } catch (error) {
            outcome = { error: error.code, code: error.responseCode, response: error.response, command: error.command };
        }
        console.log(JSON.stringify({ ...outcome, said: said.splice(0) }));
    }
    transport.close();
}

main(JSON.parse(require('fs').readFileSync(0, 'utf8')));
