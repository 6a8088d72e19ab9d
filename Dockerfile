# One image for gateways, counter services and the one-shot steps of compose.yaml; the command chooses.
FROM node:24.21.0-alpine AS modules
WORKDIR /app
COPY package.json package-lock.json ./
# Without the packages of tests and linters (dev) and the database of `npm start` (optional).
RUN npm ci --omit=dev --omit=optional --ignore-scripts --no-audit --no-fund

FROM node:24.21.0-alpine
ENV NODE_ENV=production \
    OTEL_EXPORTER_PROMETHEUS_HOST=0.0.0.0
WORKDIR /app
COPY --from=modules /app/node_modules ./node_modules
# Readable for every user, whatever the umask of the checkout.
COPY --chmod=755 package.json ./
COPY --chmod=755 schema ./schema
COPY --chmod=755 nats ./nats
COPY --chmod=755 telemetry ./telemetry
COPY --chmod=755 gateway ./gateway
COPY --chmod=755 counter ./counter
COPY --chmod=755 mesh/database ./mesh/database
COPY --chmod=755 mesh/files ./mesh/files
COPY --chmod=755 mesh/deploy ./mesh/deploy

# Node is process 1, so that it gets SIGTERM itself, and drains or flushes.
USER node
EXPOSE 3000 9464
# Both services serve metrics as soon as they run; compose.yaml checks more of each.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
  CMD ["wget", "-q", "-O", "/dev/null", "http://127.0.0.1:9464/metrics"]
CMD ["node", "--max-semi-space-size=8", "--no-allocation-site-pretenuring", "gateway/main.ts"]
