// Answers 200 to webhooks that the providers' SDKs verify and know the type of, and 400 to others. Prints its port.

import http from "node:http";
import { EventName, Paddle } from "@paddle/paddle-node-sdk";
import Stripe from "stripe";

const { STRIPE_WEBHOOK_SECRET, PADDLE_WEBHOOK_SECRET } = process.env;
const stripe = new Stripe("sk_test_of_nobody");
const paddle = new Paddle("of_nobody");

async function read(body, headers) {
  const signature = headers["stripe-signature"];
  if (!signature) {
    const event = await paddle.webhooks.unmarshal(body, PADDLE_WEBHOOK_SECRET, headers["paddle-signature"]);
    if (!Object.values(EventName).includes(event.eventType)) throw new Error("a type that the SDK does not know");
    return;
  }
  // Stripe's thin events are read by another function.
  const isThin = JSON.parse(body).object === "v2.core.event";
  if (isThin) stripe.parseEventNotification(body, signature, STRIPE_WEBHOOK_SECRET);
  else stripe.webhooks.constructEvent(body, signature, STRIPE_WEBHOOK_SECRET);
}

const server = http.createServer(async (request, response) => {
  let body = "";
  for await (const part of request) body += part;
  try {
    await read(body, request.headers);
    response.end("{}");
  } catch (error) {
    response.statusCode = 400;
    response.end(JSON.stringify({ error: { code: "unread", message: error.message } }));
  }
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
