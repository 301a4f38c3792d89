"""What all commands have in common: how they are declared, how their help looks, and how they end.

A command is a function whose docstring is its help. An operator's command is a coroutine function: reading the command
line returns the coroutine, and `clearinghub.tools.cli` runs it.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from typing import Any, Final, NoReturn, get_type_hints

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

EXIT_OK: Final = 0
EXIT_FAILED: Final = 1
EXIT_WRONG_USAGE: Final = 2
EXIT_NO_HUB: Final = 3
EXIT_STOPPED: Final = 130  # the shell's: 128 and SIGINT


class _PlainHelp:
    """Help in which an argument has its name alone, and a flag no type.

    Typer shows the type that a value has in Python; that of an amount is an integer of 1/10,000, which nobody types.
    """

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the command's parameters, made ready for its help."""
        params: list[Any] = super().get_params(ctx)  # type: ignore[misc]
        for param in params:
            if isinstance(param, TyperArgument):
                setattr(param, "display_type_rich", _no_type)  # noqa: B010 - a method of Typer's
            elif isinstance(param, TyperOption) and param.is_flag:
                param.metavar = ""
        return params

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the arguments; every error knows the command, so that its usage is shown with it."""
        try:
            rest: list[str] = super().parse_args(ctx, args)  # type: ignore[misc]
        except typer.TyperException as error:
            if getattr(error, "ctx", ctx) is None:
                error.ctx = ctx  # type: ignore[attr-defined]
            raise
        return rest


def _no_type(ctx: Any) -> None:
    del ctx


class Command(_PlainHelp, TyperCommand):
    """A command with help for people."""


class CommandGroup(_PlainHelp, TyperGroup):
    """A set of commands with help for people; without a command the whole help is the error message."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the group's own options."""
        if not args and not ctx.resilient_parsing:
            with redirect_stdout(sys.stderr):
                print(ctx.get_help(), end="")  # noqa: T201 - what the command shows
            raise typer.Exit(EXIT_WRONG_USAGE)
        return super().parse_args(ctx, args)


class App(typer.Typer):
    """A set of commands; see `Typer`."""

    def __init__(
        self,
        purpose: str = "",
        *,
        examples: Sequence[str] = (),
        exits: str = "",
        noun: str = "COMMAND",
        cls: type[TyperGroup] = CommandGroup,
        completion: bool = False,
    ) -> None:
        """Prepare the help.

        Args:
            purpose: what the commands are for, in a sentence.
            examples: command lines without `clearinghub`.
            exits: what the exit codes of these commands mean.
            noun: what a command is called in the usage.
            cls: how a command is found.
            completion: whether `--install-completion` is offered.
        """
        self.exits = exits
        super().__init__(
            cls=cls,
            help=purpose,
            epilog=_epilog(examples, exits),
            subcommand_metavar=f"{noun} ...",
            add_completion=completion,
            rich_markup_mode="rich",
            pretty_exceptions_enable=False,
        )

    def add(
        self, name: str | None = None, *, examples: Sequence[str] = (), **settings: Any
    ) -> Callable[[Callable[..., Any]], Any]:
        """Declare the decorated function as a command; its docstring is the help."""
        return self.command(name, cls=Command, epilog=_epilog(examples, self.exits), **settings)


def _epilog(examples: Sequence[str], exits: str) -> str:
    lines = "\n".join(f"  [cyan]clearinghub {line}[/cyan]" for line in examples)
    parts = [f"[bold]Examples[/bold]\n{lines}"] if examples else []
    return "\n\n".join([*parts, *([f"[bold]Exit codes[/bold]\n  {exits}"] if exits else [])])


def share_parameters(run: Callable[..., Any], command: Callable[..., Any]) -> None:
    """Let Typer see `run` as `command`, with its parameters but for the first, and then the keyword ones of `run`.

    So options that many commands have are declared once: `run` takes them, and calls `command` with the others.
    """
    hints = get_type_hints(command, include_extras=True)
    _first, *own = inspect.signature(command).parameters.values()
    context, *shared = inspect.signature(run, eval_str=True).parameters.values()
    parameters = [
        context,
        *(one.replace(annotation=hints[one.name], kind=inspect.Parameter.KEYWORD_ONLY) for one in own),
        *(one for one in shared if one.kind is not inspect.Parameter.VAR_KEYWORD),
    ]
    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in parameters}


def tell(sentence: str) -> None:
    """Print one line on stderr; what came from the hub cannot steer the terminal."""
    printable = "".join(character if character.isprintable() else " " for character in sentence)
    print(f"clearinghub: {printable}", file=sys.stderr, flush=True)  # noqa: T201 - what the command shows


def refuse_usage(ctx: typer.Context, sentence: str) -> NoReturn:
    """End the command with exit code 2, its usage and a sentence: options that do not go together."""
    raise typer.BadParameter(sentence, ctx=ctx)
