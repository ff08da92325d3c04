"""From a verification to what people read: a page, its JSON, and the terminal's summary."""

from flowtheory.report.evidence import to_dict as to_dict
from flowtheory.report.evidence import to_json as to_json
from flowtheory.report.page import render_page as render_page
from flowtheory.report.run import print_run as print_run
from flowtheory.report.run import write_run as write_run
from flowtheory.report.terminal import print_verification as print_verification
from flowtheory.report.write import check_writable as check_writable
from flowtheory.report.write import write_report as write_report
