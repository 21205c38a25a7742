# One node of Renkei. Everything is fetched while the image is built; a running node fetches nothing.
#   docker build -t renkei-bus:0.1.0 .

FROM python:3.11.13-slim-bookworm AS built
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /source
COPY constraints.txt ./
RUN ["python", "-m", "venv", "/opt/renkei"]
COPY pyproject.toml README.md ./
COPY adapters/ adapters/
COPY bus/ bus/
COPY contracts/ contracts/
COPY monitoring/ monitoring/
# The wheel's own build tool is held to the constraints, too.
ENV PIP_CONSTRAINT=/source/constraints.txt
RUN ["python", "-m", "pip", "wheel", "--no-deps", "--wheel-dir", "/wheels", "/source"]
RUN ["/opt/renkei/bin/python", "-m", "pip", "install", "--find-links", "/wheels", "renkei-bus"]

FROM python:3.11.13-slim-bookworm
ENV PATH=/opt/renkei/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 LANG=C.UTF-8
COPY --from=built /opt/renkei /opt/renkei
# Whatever user the container runs as owns what it makes here; volumes that are mounted here begin with this mode.
RUN ["install", "-d", "-m", "1777", "/srv/renkei", "/srv/renkei/files", "/srv/renkei/node", "/srv/renkei/var"]
WORKDIR /srv/renkei
USER 10001:10001
EXPOSE 9460 9461
STOPSIGNAL SIGTERM
ENTRYPOINT ["/opt/renkei/bin/renkei"]
CMD ["--help"]
