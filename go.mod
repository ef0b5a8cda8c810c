module github.com/yarnd/yarnd

go 1.26
