"""Readers, writers and cutters for a layout of a contract: the one door to this folder."""

from __future__ import annotations

from contracts.errors import FileUnreadable
from contracts.layouts.csv_reader import CsvReader
from contracts.layouts.csv_writer import CsvWriter
from contracts.layouts.cut import LineCutter, RecordCutter
from contracts.layouts.fixed_reader import FixedReader
from contracts.layouts.fixed_writer import FixedWriter
from contracts.layouts.model import CsvLayout, Layout, XmlLayout
from contracts.layouts.ports import Cutter, Reader, Writer
from contracts.layouts.xml_writer import XmlWriter
from contracts.model import Contract


def cutter_for(layout: Layout, contract: Contract) -> Cutter:
    """The cutter of a layout.

    Raises:
        FileUnreadable: the layout is for writing only (XML).
    """
    if isinstance(layout, XmlLayout):
        raise FileUnreadable("RNK1208E", contract=contract.contract)
    if isinstance(layout, CsvLayout) or layout.newline != "none":
        return LineCutter(layout, contract)
    return RecordCutter(layout)


def reader_for(layout: Layout, contract: Contract) -> Reader:
    """The reader of a layout.

    Raises:
        FileUnreadable: the layout is for writing only (XML).
    """
    if isinstance(layout, XmlLayout):
        raise FileUnreadable("RNK1208E", contract=contract.contract)
    return CsvReader(layout, contract) if isinstance(layout, CsvLayout) else FixedReader(layout, contract)


def writer_for(layout: Layout, contract: Contract) -> Writer:
    """The writer of a layout."""
    if isinstance(layout, XmlLayout):
        return XmlWriter(layout, contract)
    return CsvWriter(layout, contract) if isinstance(layout, CsvLayout) else FixedWriter(layout, contract)
