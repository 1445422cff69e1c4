// What the Node speakers share: a request a line in, an answer a line out (see ../speaker.py).
const readline = require("node:readline");

/** Answers every line of standard input by `call`, one after another; `refusal` reads an error of the SDK. */
module.exports = async function serve(call, refusal) {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const asked = JSON.parse(line);
    let said;
    try {
      said = { body: await call(process.env.ALIBABA_CLOUD_ENDPOINT, asked) };
    } catch (error) {
      said = refusal(error) ?? { broken: String(error?.stack ?? error) };
    }
    process.stdout.write(JSON.stringify(said) + "\n");
  }
};
