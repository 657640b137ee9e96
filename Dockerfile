# One image for service and agents; what it runs is the command. Build: docker build -t maintenance-order-ledger .
ARG PYTHON=python:3.12.12-slim-bookworm

FROM ${PYTHON} AS build
WORKDIR /build
COPY requirements/run.txt requirements/
RUN python -m venv /opt/mol \
 && /opt/mol/bin/pip install --no-cache-dir --require-hashes --only-binary :all: -r requirements/run.txt
COPY . .
RUN /opt/mol/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM ${PYTHON}
# Nothing of the project is root's to run; keys and data are mounted, and read by their owner alone.
RUN useradd --uid 10001 --create-home mol
COPY --from=build /opt/mol /opt/mol
ENV PATH=/opt/mol/bin:$PATH ETH_HASH_BACKEND=pysha3 PYTHONUNBUFFERED=1
USER 10001
WORKDIR /plant
ENTRYPOINT ["mol"]
CMD ["--help"]
