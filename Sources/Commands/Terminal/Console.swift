import Foundation
import Glibc
import Support
import Synchronization

/// What people see besides results: progress, warnings and errors on stderr.
package enum Console {
    /// The name that the program was called by.
    private static let program =
        CommandLine.arguments.first?.split(separator: "/").last.map(String.init) ?? "pando"

    /// One line, `pando: error: what`.
    package static func error(_ text: String) {
        write("\(program): error: \(text)\n")
    }

    /// One line, `pando: warning: what`.
    package static func warning(_ text: String) {
        write("\(program): warning: \(text)\n")
    }

    /// One line, `pando: what`.
    package static func note(_ text: String) {
        write("\(program): \(text)\n")
    }

    /// Text on stderr.
    package static func write(_ text: String) {
        FileHandle.standardError.write(Data(text.utf8))
    }

    /// Whether results go to a terminal.
    package static var outputIsTerminal: Bool { isatty(STDOUT_FILENO) == 1 }

    /// Columns of the terminal, 80 if there is none.
    package static var width: Int {
        var size = winsize()
        if ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 { return Int(size.ws_col) }
        return ProcessInfo.processInfo.environment["COLUMNS"].flatMap { Int($0) } ?? 80
    }
}

/// Shows how far long work is: a bar on a terminal, else a line every ten seconds; or JSON for a program that shows it itself.
package final class Progress: Sendable {
    private struct State: Sendable {
        var shown = 0.0
        var drawn = false
    }

    private let verb: String
    private let unit: String
    private let isQuiet: Bool
    private let isForPrograms: Bool
    private let isTerminal = isatty(STDERR_FILENO) == 1
    private let started = Progress.now
    private let state = Monitor(State())

    /// - Parameter forPrograms: Writes `{"done":1024,"total":4096,"what":"converting"}`, at most ten times a second and at the end.
    package init(_ verb: String, unit: String, quiet: Bool, forPrograms: Bool = false) {
        isForPrograms = forPrograms
        self.verb = verb
        self.unit = unit
        isQuiet = quiet
    }

    private static var now: Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }

    /// Shows that `done` of `total` are done, if it is time to.
    package func show(_ done: Int, of total: Int) {
        guard !isQuiet else { return }
        let now = Self.now
        state.update { state in
            if isForPrograms {
                guard now - state.shown >= 0.1 || done == total else { return }
                state.shown = now
                return Console.write("{\"done\":\(done),\"total\":\(total),\"what\":\"\(verb)\"}\n")
            }
            let pause = isTerminal ? 0.1 : 10
            guard now - max(state.shown, isTerminal ? 0 : started) >= pause else { return }
            state.shown = now
            state.drawn = true
            let share = total > 0 ? Double(done) / Double(total) : 1
            let elapsed = max(1e-9, now - started)
            let rate = Double(done) / elapsed
            let left = rate > 0 ? Double(total - done) / rate : 0
            let percent = String(format: "%3.0f%%", 100 * share)
            let text =
                "\(verb) \(percent)  \(Format.count(done)) of \(Format.count(total)) \(unit), "
                + "\(Format.count(Int(rate)))/s, \(Format.duration(left)) left"
            Console.write(isTerminal ? "\r\u{1b}[K\(bar(share)) \(text)" : "\(text)\n")
        }
    }

    private func bar(_ share: Double) -> String {
        let filled = Int(20 * min(1, max(0, share)))
        return "[" + String(repeating: "=", count: filled) + String(repeating: " ", count: 20 - filled) + "]"
    }

    /// Removes the bar.
    package func finish() {
        state.update { state in
            if state.drawn, isTerminal { Console.write("\r\u{1b}[K") }
        }
    }

    /// Seconds since the work began.
    package var elapsed: Double { Self.now - started }
}

/// Numbers for people.
package enum Format {
    /// `1,234,567`.
    package static func count(_ number: Int) -> String {
        var digits = Array(String(number.magnitude))
        var place = digits.count - 3
        while place > 0 {
            digits.insert(",", at: place)
            place -= 3
        }
        return (number < 0 ? "-" : "") + String(digits)
    }

    /// `12.3 MB`; powers of ten.
    package static func bytes(_ number: Int) -> String {
        let units = ["B", "kB", "MB", "GB", "TB", "PB"]
        var value = Double(number), unit = 0
        while value >= 999.5, unit < units.count - 1 {
            value /= 1000
            unit += 1
        }
        return unit == 0
            ? "\(number) B"
            : String(format: value < 10 ? "%.2f %@" : value < 100 ? "%.1f %@" : "%.0f %@", value, units[unit])
    }

    /// `2 h 05 min`, `3 min 20 s`, `4.2 s`.
    package static func duration(_ seconds: Double) -> String {
        if seconds >= 3600 { return String(format: "%d h %02d min", Int(seconds) / 3600, Int(seconds) / 60 % 60) }
        if seconds >= 60 { return String(format: "%d min %02d s", Int(seconds) / 60, Int(seconds) % 60) }
        return String(format: "%.1f s", seconds)
    }

    /// A number in four significant digits.
    package static func short(_ value: Double) -> String {
        value == value.rounded() && abs(value) < 1e7 ? count(Int(value)) : String(format: "%.4g", value)
    }
}
