# Two commands: `make demo` and `make test`. Everything they need is made here, from a bare machine with Python 3.11+.
PYTHON ?= python3
UV = UV_FIND_LINKS="$${UV_FIND_LINKS:-$$PIP_FIND_LINKS}" .venv/bin/uv
export OMP_WAIT_POLICY ?= PASSIVE
# Where PYTHONDONTWRITEBYTECODE is set, as in many containers, each process would compile everything again: 7 s instead of 2.
export UV_COMPILE_BYTECODE = 1

.PHONY: demo test check test-unsloth compose-test lint proof lock clean install chromium nginx

demo: install .venv-labelstudio/ready
	.venv/bin/chequemate demo

# What needs no server in two processes beside each other; then what does, one after another: it is timed, and shares a Label Studio.
BESIDE = -n 2 --dist loadfile
test: install .venv-labelstudio/ready chromium
	.venv/bin/python -m pytest -m "not integration and not proof" $(BESIDE)
	.venv/bin/python -m pytest -m "integration and not proof"

# Before every commit: the linters, and the tests that need no server, no browser and no long training.
check: lint
	.venv/bin/python -m pytest -m "not integration and not proof and not slow" $(BESIDE)

lint: install
	.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy

# Releases of Label Studio that teams still run, older than the one that everything is tried with.
OLDER = 1.20.0 1.13.1

proof: install .venv-labelstudio/ready .venv-vllm/ready chromium nginx $(OLDER:%=.venv-labelstudio-%/ready)
	.venv/bin/python -m pytest -m proof

# The README's way with Docker, on a real engine: a part of `make proof`.
compose-test: install
	.venv/bin/python -m pytest -m proof tests/test_compose_run.py

# Unsloth pins much of its own: its environment sees the project's and puts its own packages before it.
test-unsloth: .venv-unsloth/ready
	.venv-unsloth/bin/python -m pytest -m proof tests/test_trainer_unsloth.py

install: .venv/ready

# The locks are whole, so they go in without a resolver; torch and torchvision alone are resolved, for this machine's own build.
.venv/ready: locks/project.txt locks/torch.txt locks/uv.txt pyproject.toml
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install -q -r locks/uv.txt
	$(UV) pip install -q -p .venv --no-deps -r locks/project.txt
	$(UV) pip install -q -p .venv -r locks/torch.txt
	$(UV) pip install -q -p .venv --no-deps -e .
	touch $@

.venv-unsloth/ready: locks/unsloth.txt | .venv/ready
	.venv/bin/python -m venv --without-pip .venv-unsloth
	.venv/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))" > $$(.venv-unsloth/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")/project.pth
	$(UV) pip install -q -p .venv-unsloth --no-deps -r locks/unsloth.txt
	touch $@

# vLLM, in a build for the CPU: an environment over the project's, like Unsloth's.
.venv-vllm/ready: locks/vllm.txt | .venv/ready
	.venv/bin/python -m venv --without-pip .venv-vllm
	.venv/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))" > $$(.venv-vllm/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")/project.pth
	$(UV) pip install -q -p .venv-vllm --no-deps -r locks/vllm.txt
	touch $@

# Label Studio pins an older redis, rq and sdk: it lives in an environment of its own.
.venv-labelstudio/ready: locks/labelstudio.txt | .venv/ready
	$(PYTHON) -m venv .venv-labelstudio
	$(UV) pip install -q -p .venv-labelstudio --no-deps -r locks/labelstudio.txt
	touch $@

.venv-labelstudio-%/ready: locks/labelstudio-%.txt | .venv/ready
	$(PYTHON) -m venv .venv-labelstudio-$*
	$(UV) pip install -q -p .venv-labelstudio-$* --no-deps -r locks/labelstudio-$*.txt
	touch $@

nginx:
	@PATH="$$PATH:/usr/sbin" command -v nginx >/dev/null \
	|| { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -q && apt-get install -y -q nginx-light; }

# The browser of the tests: the one on PATH, else Debian's (with what playwright's driver needs), else playwright's own.
chromium: install
	@{ command -v chromium google-chrome && .venv/bin/playwright --version; } >/dev/null 2>&1 \
	|| { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -q && apt-get install -y -q chromium libatomic1; } \
	|| .venv/bin/playwright install chromium

# locks/image.txt is what a backend and a worker need that read and train themselves, less what label-studio-sdk asks for its
# converters alone; torch and uv are pinned by hand, in locks/torch.txt and uv.txt.
NOT_IN_THE_IMAGE = black|datamodel-code-generator|nltk|opencv-python-headless
COMPILE = .venv/bin/uv pip compile --universal --python-version 3.11 --no-header --no-annotate -q
OURS = pyproject.toml --no-emit-package torch --no-emit-package torchvision
lock:
	$(COMPILE) $(OURS) --extra all --extra dev | sed -E '/^(nvidia-|triton|cuda-|attr==)/d' > locks/project.txt
	$(COMPILE) $(OURS) --extra postgres --extra train -c locks/project.txt | sed -E '/^(nvidia-|triton|cuda-|attr==|($(NOT_IN_THE_IMAGE))==)/d' > locks/image.txt
	echo 'label-studio==1.23.2' | $(COMPILE) - > locks/labelstudio.txt
	for release in $(OLDER); do printf 'label-studio=='"$$release"'\nsetuptools<81\n' | $(COMPILE) - > locks/labelstudio-$$release.txt; done

clean:
	rm -rf .venv .venv-labelstudio .venv-labelstudio-* .venv-unsloth .venv-vllm .chequemate
