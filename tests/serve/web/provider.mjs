// A real provider of OpenID Connect (oidc-provider, from npm) on a free port; its address is its first line.
import { createServer } from "node:http";
import { Provider } from "oidc-provider";

const back = process.argv[2];
const server = createServer();
server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [{
      client_id: "rater", client_secret: "a secret of the test, long enough", redirect_uris: [back],
      response_types: ["code"], grant_types: ["authorization_code"],
    }],
    pkce: { required: () => true },
    claims: { openid: ["sub"], profile: ["name", "groups"] },
    conformIdTokenClaims: false,
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({ sub: id, name: `${id} of the directory`, groups: ["staff", `${id}-group`] }),
    }),
  });
  server.on("request", provider.callback());
  console.log(issuer);
});
