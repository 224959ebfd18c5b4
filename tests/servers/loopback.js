// Loaded before a server that would listen on every address: keeps it on this machine.
const net = require("net");
const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (...args) {
  if (args[0] !== null && typeof args[0] === "object" && "port" in args[0]) {
    args[0] = { ...args[0], host: "127.0.0.1" };
  } else if (typeof args[0] === "number" || /^[0-9]+$/.test(args[0])) {
    args = [Number(args[0]), "127.0.0.1", ...args.slice(1).filter((argument) => typeof argument === "function")];
  }
  return listen.apply(this, args);
};
