"""``dianwu up``, ``demo``, ``desk``, ``migrate`` and ``deploy``: bringing an installation up."""

from __future__ import annotations

from typing import Annotated

import typer


def up() -> None:
    """启动整套服务（数据库迁移、Prefect、执行器、接入端），直到 Ctrl-C。"""
    from ops.commands.terminal import refuse
    from ops.stack import StackError
    from ops.stack import up as run

    try:
        run()
    except StackError as error:
        refuse(str(error))


def demo(auto: Annotated[bool, typer.Option("--auto", help="自动扮演员工，核对结果后退出")] = False) -> None:
    """启动演示环境：示例店铺、商家和员工。"""
    from ops.commands.terminal import refuse
    from ops.demo import demo as run
    from ops.stack import StackError

    try:
        raise typer.Exit(run(auto))
    except StackError as error:
        refuse(str(error))


def desk() -> None:
    """单独启动工作台（审核人员在浏览器中作决定的页面），直到 Ctrl-C。"""
    from ops.desk import main

    main()


def migrate() -> None:
    """把数据库升级到当前版本。"""
    from ops.migrate import upgrade
    from ops.secrets import prepare

    prepare()
    upgrade()


def deploy() -> None:
    """在 Prefect 中创建工作池并部署全部流程。"""
    import httpx
    from prefect.settings import temporary_settings

    from ops.commands.terminal import refuse
    from ops.deploy import deploy as run
    from ops.environment import prefect_settings
    from ops.secrets import prepare

    with temporary_settings(updates=prefect_settings(prepare())):
        try:
            typer.echo("、".join(run()))
        except httpx.HTTPStatusError as error:
            code = error.response.status_code
            if code in {401, 403}:
                refuse(f"Prefect 拒绝登录（{code}）：请检查 PREFECT_API_AUTH_STRING 或 prefect_auth")
            refuse(f"Prefect 不能完成部署（{code}）：它的数据库或 Redis 可能不可用，恢复后再执行一次即可")
        except httpx.HTTPError as error:
            refuse(f"Prefect 没有应答（{type(error).__name__}）：请检查它是否在运行，以及 PREFECT_API_URL")
